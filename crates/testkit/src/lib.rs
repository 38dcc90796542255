//! Private database servers and the means to watch them, for tests.
