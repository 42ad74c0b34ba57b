//! Named parameters of a list entry (a distribution, a popularity, a rate shape): declared once, read by the parser.
//!
//! A list such as [`super::DISTRIBUTIONS`] holds one [`Entry`] for each thing that a scenario can name.  The entry
//! declares its parameters; the scenario parser converts units and finds the place of an error, and knows none of
//! the entries.

/// What a parameter's value is, and so how it is written in a scenario and in which unit it arrives here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// A number in the unit of the place where the entry stands: sizes arrive in bytes, durations in milliseconds.
    Quantity,
    /// A list of such numbers.
    Quantities,
    /// A number without unit.
    Plain,
    /// A list of numbers without unit.
    Plains,
    /// Pairs of a number without unit and a quantity: `[[0.5, 200], [0.99, "4kb"]]`.
    QuantityPoints,
    /// A duration, in microseconds.
    Duration,
    /// A rate, in events a second.
    Rate,
    /// Pairs of a duration (microseconds) and a rate: `[["0s", 0], ["1h", 5000]]`.
    RatePoints,
}

/// The value of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A single number.
    Number(f64),
    /// A list of numbers.
    Numbers(Vec<f64>),
    /// A list of pairs.
    Points(Vec<(f64, f64)>),
}

/// The declaration of one parameter.
#[derive(Debug, Clone, Copy)]
pub struct ParamSpec {
    /// Its key in the scenario.
    pub name: &'static str,
    /// What it is.
    pub kind: ParamKind,
    /// Whether it must be given.
    pub required: bool,
    /// One line of meaning, with the default of an optional parameter.
    pub help: &'static str,
}

/// The parameters given to one entry.  The parser guarantees that each is declared, of its kind, given at most once,
/// finite, and that the required ones are there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Params(Vec<(&'static str, Value)>);

/// Why an entry refuses its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamError {
    /// The parameter at fault; the entry as a whole when `None`.
    pub param: Option<&'static str>,
    /// What was expected, to follow "expected": `a number above 0`.
    pub expected: String,
}

/// One thing that a scenario can name.
#[derive(Debug, Clone, Copy)]
pub struct Entry<T: 'static> {
    /// Its name.
    pub name: &'static str,
    /// One line of meaning.
    pub summary: &'static str,
    /// Its parameters.
    pub params: &'static [ParamSpec],
    /// Makes it, or says which parameter is wrong.
    pub build: fn(&Params) -> Result<T, ParamError>,
}

impl Params {
    /// Adds a parameter.
    pub fn push(&mut self, name: &'static str, value: Value) {
        self.0.push((name, value));
    }

    /// Whether `name` was given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    /// The number called `name`, when given.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Value::Number(number) => Some(*number),
            Value::Numbers(_) | Value::Points(_) => None,
        }
    }

    /// The list called `name`; empty when not given.
    #[must_use]
    pub fn numbers(&self, name: &str) -> &[f64] {
        match self.get(name) {
            Some(Value::Numbers(numbers)) => numbers,
            _ => &[],
        }
    }

    /// The pairs called `name`; empty when not given.
    #[must_use]
    pub fn points(&self, name: &str) -> &[(f64, f64)] {
        match self.get(name) {
            Some(Value::Points(points)) => points,
            _ => &[],
        }
    }

    /// The number called `name`, or `default`, when `holds` is true of it.
    ///
    /// # Errors
    /// [`ParamError`] naming the parameter and `expected` when it is missing without a default or `holds` is false.
    pub fn checked(
        &self,
        name: &'static str,
        default: Option<f64>,
        expected: &str,
        holds: impl Fn(f64) -> bool,
    ) -> Result<f64, ParamError> {
        match self.number(name).or(default) {
            Some(number) if holds(number) => Ok(number),
            _ => Err(ParamError::new(name, expected)),
        }
    }
}

impl ParamError {
    /// The parameter `name` is not what was `expected`.
    #[must_use]
    pub fn new(name: &'static str, expected: &str) -> ParamError {
        ParamError { param: Some(name), expected: expected.to_owned() }
    }
}
