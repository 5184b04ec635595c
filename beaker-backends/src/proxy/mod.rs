//! Proxies that wrap any namespace, and compose.
