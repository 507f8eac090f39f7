//! What the benches share: where the input data is and how it is read.
