//! The control plane: one router per capability, each also a Lambda.
