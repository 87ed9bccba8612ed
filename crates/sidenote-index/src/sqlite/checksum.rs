//! Checksums of rows. SQLite keeps none: a bit that flips in a path, a title or a page number would be read as if it had been
//! written. Rows of data folders of older versions have none, and are believed.

use sha2::{Digest as _, Sha256};

use super::signed;

/// Takes in the columns of a row one after the other; those that are null count too.
#[derive(Clone, Debug, Default)]
pub(super) struct Checksum(Sha256);

impl Checksum {
    pub(super) fn number(mut self, number: impl Into<Option<i64>>) -> Self {
        match number.into() {
            Some(number) => {
                self.0.update([1]);
                self.0.update(number.to_le_bytes());
            }
            None => self.0.update([0]),
        }
        self
    }

    pub(super) fn bytes<'a>(self, bytes: impl Into<Option<&'a [u8]>>) -> Self {
        let bytes = bytes.into();
        let mut with_length = self.number(bytes.map(|bytes| signed(bytes.len())));
        with_length.0.update(bytes.unwrap_or_default());
        with_length
    }

    pub(super) fn text<'a>(self, text: impl Into<Option<&'a str>>) -> Self {
        self.bytes(text.into().map(str::as_bytes))
    }

    /// As it is stored: the first eight bytes of the SHA-256.
    pub(super) fn value(self) -> i64 {
        let digest = self.0.finalize();
        i64::from_le_bytes(std::array::from_fn(|index| digest[index]))
    }

    /// Compares it with the one that was stored with the row.
    pub(super) fn compare(self, stored: Option<i64>, what: impl FnOnce() -> String) -> Result<(), sqlx::Error> {
        match stored {
            Some(stored) if stored != self.value() => Err(not_as_stored(&what())),
            Some(_) | None => Ok(()),
        }
    }
}

/// What was read is not what was written. Becomes [`crate::IndexError::Damaged`].
pub(super) fn not_as_stored(what: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{what} is not as it was stored").into())
}

/// Whether a row could not be read because it is not as it was written: by its checksum, or because a column is not what it can be.
pub(super) fn is_damage(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_apart() {
        let value = |columns: [Option<&str>; 2]| {
            columns.into_iter().fold(Checksum::default(), |sum, column| sum.text(column)).value()
        };
        let sums = [
            value([Some("ab"), Some("c")]),
            value([Some("a"), Some("bc")]),
            value([Some("abc"), Some("")]),
            value([Some("abc"), None]),
            value([None, Some("abc")]),
        ];
        for (index, sum) in sums.iter().enumerate() {
            assert!(!sums[..index].contains(sum), "{index}");
        }
        assert_ne!(Checksum::default().number(0_i64).value(), Checksum::default().number(None).value());
        assert!(Checksum::default().number(1_i64).compare(None, String::new).is_ok());
        let wrong = Checksum::default().number(1_i64).compare(Some(7), || "page 3".to_owned()).unwrap_err();
        assert!(wrong.to_string().ends_with("page 3 is not as it was stored"), "{wrong}");
    }
}
