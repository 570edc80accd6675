// Package session owns order: one goroutine owns one session, takes the
// commands that wait, plans and applies them one by one, appends what they
// decided to the journal in one batch, and only then publishes and answers.
//
//   - core.go and its neighbours are the pure part: state, plan, apply. They
//     know no clock, no goroutine and no journal; time, ids and the actor come
//     in with the request. The same apply serves the live turn and recovery,
//     so memory is always what the journal says.
//   - live.go is the shell around one core: mailbox, turn, feed, clients.
//   - manager.go finds, opens, evicts and deletes sessions.
//
// The package knows nothing of HTTP or Socket.IO. What it publishes is a Feed:
// a bounded window of finished events that followers read by cursor. A
// follower can be slow, stuck or broken without a command noticing.
//
// Session, Manager and Feed are safe for concurrent use. Everything else here
// belongs to the goroutine of its session.
package session
