"""Encryption under named keys (SSE-KMS, DSSE-KMS): which key is found, what the answers say, and keys out of use."""
