"""Turns journals into marks, margin accounts and health."""
