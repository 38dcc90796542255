//! Where a window begins or ends.

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// A place in a table: the value of each column that the table is cut by, or one whole number where it is cut by pages or
/// rowids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bound(Vec<Value>);

impl Bound {
    /// Returns the place of a key.
    pub fn key(values: Vec<Value>) -> Self {
        Self(values)
    }

    /// Returns the place of a whole number.
    pub fn number(number: i64) -> Self {
        Self(vec![Value::Int(number)])
    }

    /// Returns the whole number, where it is one.
    pub fn as_number(&self) -> Option<i64> {
        match self.0.as_slice() {
            [Value::Int(number)] => Some(*number),
            _ => None,
        }
    }

    /// Returns the values, as a statement takes them.
    pub fn values(&self) -> &[Value] {
        &self.0
    }

    /// Returns it as the journal keeps it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("values are plain data")
    }

    /// Returns what [`Self::to_json`] wrote.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_journal_keeps_reads_back() {
        let key = vec![Value::Int(i64::MIN), Value::from("\"ü\n"), Value::Bytes(vec![0, 255]), Value::Real(0.1)];
        for bound in [Bound::number(-5), Bound::key(key)] {
            assert_eq!(Bound::from_json(&bound.to_json()), Some(bound));
        }
        assert_eq!(Bound::number(7).as_number(), Some(7));
        assert_eq!(Bound::key(vec![Value::from("7")]).as_number(), None);
    }
}
