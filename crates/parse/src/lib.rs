//! SQL text in, changes out: the only crate that sees a syntax tree.
