"""The operators' guide, deploy/README.md, carried out on machines that last as long as a test."""
