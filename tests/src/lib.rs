//! Whole calls, seed sweeps, conformance with the vendors' own software.
