//! What the stores of keys and bytes have in common.
