//go:build !race

package e2e

// raceDetector says whether the tests, and so the server, run under it.
const raceDetector = false
