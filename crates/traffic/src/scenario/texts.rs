//! Texts that go wrong easily: empty, longest, spaces at the ends, quotes, other scripts.

use fastrand::Rng;
use segue_model::value::Value;

/// The length of the longest text, in characters.
pub(super) const LONGEST: usize = 240;

const PLAIN: [&str; 8] = ["Ada", "Grace", "Mary Ann", "van der Berg", "O'Brien", "Li", "Cher", "d\"Arc"];
const ODD: [&str; 8] = [" lead", "trail ", "two  spaces", "back\\slash", "$1 {x}", "Zoë", "山田 太郎", "🦀 Ferris"];

/// Returns a text, now and then odd, empty or long.
pub(super) fn text(rng: &mut Rng) -> String {
    match rng.u8(..20) {
        0 => String::new(),
        1 => "名".repeat(LONGEST),
        2..5 => rng.choice(ODD).expect("the list is not empty").to_owned(),
        5..10 => rng.choice(PLAIN).expect("the list is not empty").to_owned(),
        _ => format!("N{:x}", rng.u32(..)),
    }
}

/// Returns a text, or NULL one time in ten.
pub(super) fn text_or_null(rng: &mut Rng) -> Value {
    if rng.u8(..10) == 0 { Value::Null } else { text(rng).into() }
}

/// Returns the text of a seeded row: what the `CASE id % 16` of the scenarios' SQL says.
pub(super) fn seeded(prefix: &str, id: i64) -> Value {
    match id % 16 {
        0 => Value::Null,
        1 => "".into(),
        2 => "x".repeat(LONGEST).into(),
        3 => "Zoë 名前".into(),
        _ => format!("{prefix}{id}").into(),
    }
}

/// Returns the text, NULL as the empty one.
pub(super) fn or_empty(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}
