//! Serving: the in-process agent behind HTTP, in the dialects that others speak and in our own.
//!
//! Every request is answered from a session: the one-shot surfaces open one of their own ([`ask::Ask`]), the native
//! surface shares one among any number of clients. Knows sessions only as [`crate::bridge::Live`]; who makes them is
//! the house's business.

pub mod ask;
