//! A short list of things that each belong to a size class, by rising size.

/// Something that belongs to a size class.
pub(super) trait OfSize {
    /// The first of its size.
    fn new(size: u64) -> Self;
    /// Its size (B).
    fn size(&self) -> u64;
}

/// The thing of a size, made when it is not there yet.
pub(super) fn of_size<T: OfSize>(list: &mut Vec<T>, size: u64) -> &mut T {
    let at = match list.binary_search_by_key(&size, T::size) {
        Ok(at) => at,
        Err(at) => {
            list.insert(at, T::new(size));
            at
        }
    };
    &mut list[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    impl OfSize for (u64, u32) {
        fn new(size: u64) -> Self {
            (size, 0)
        }
        fn size(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn things_are_made_once_and_stand_by_size() {
        let mut list: Vec<(u64, u32)> = Vec::new();
        for size in [32, 16, 224, 16, 32] {
            of_size(&mut list, size).1 += 1;
        }
        assert_eq!(list, [(16, 2), (32, 2), (224, 1)]);
    }
}
