//! PURE. wip
mod intent;
mod manual;
