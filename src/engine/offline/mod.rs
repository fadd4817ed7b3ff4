//! PURE. wip
mod manual;
