//! The examples of zahir are programs of their own; there is nothing in the library.
