"""What ``redistill doctor`` looks at, one file for each kind of check.

A check takes what was asked and returns one finding.  It writes into temporary folders only, asks
no network, and loads what is heavy (torch, video) only when it runs, so that a broken installation
is a finding and no crash.
"""
