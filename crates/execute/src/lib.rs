//! Carries out a plan and keeps the journal.
