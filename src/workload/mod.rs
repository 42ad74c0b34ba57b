//! stub

pub mod params;
/// stub
#[derive(Debug, Clone)] pub struct Distribution;
/// stub
#[derive(Debug, Clone)] pub struct Ttl;
/// stub
#[derive(Debug, Clone)] pub struct Popularity;
/// stub
#[derive(Debug, Clone)] pub struct Rate;
/// stub
#[derive(Debug, Clone, Copy)] pub enum Arrivals { Poisson, Deterministic }
