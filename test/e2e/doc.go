// Package e2e runs whole farms: the real program as processes of their own in network namespaces that the test makes and
// removes, with real applications behind it. It needs Linux, root, iproute2 and, per test, the application; where
// something is missing, the test says what and is skipped.
package e2e
