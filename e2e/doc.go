// Package e2e holds the end-to-end tests: the whole program as a process of
// its own, driven over REST, watched by the official Socket.IO clients of
// JavaScript and Python and by the load client of package bench/load.
//
// The tests need Node with this folder's npm packages (`make test` installs
// them), and Debian's python3-socketio for the Python client. Where one of the
// two is missing its tests are skipped, except under CI=true, where they fail.
// With -race the server is built with the race detector too, and a race in it
// fails the tests.
package e2e
