//! Benchmarks and suites too long for every change.
