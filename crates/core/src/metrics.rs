//! What many deployments say together: DORA metrics.
