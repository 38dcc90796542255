//! Clients of two application versions, each with its own record.
