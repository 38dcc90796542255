//! The databases behind the ports of the model.
