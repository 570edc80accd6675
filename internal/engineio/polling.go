package engineio

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// noopDelay is how long a poll that comes during an upgrade waits for the
// upgrade to complete, before it is ended for it: a client that does not pause
// would spin otherwise.
const noopDelay = 100 * time.Millisecond

// The most packets in one answer; the rest goes with the next poll. Clients in
// Python take no payload with more than 16, and nothing in a handshake tells
// them apart but their agent: browsers and Node, which have no such bound, get
// more.
const (
	pollPackets     = 16
	pollPacketsMany = 1024
)

func packetsFor(r *http.Request) int {
	for _, agent := range []string{"Mozilla/", "node-XMLHttpRequest"} {
		if strings.HasPrefix(r.UserAgent(), agent) {
			return pollPacketsMany
		}
	}
	return pollPackets
}

const textPlain = "text/plain; charset=UTF-8"

// servePoll answers a GET with what is queued, as soon as something is.
func (s *Server) servePoll(w http.ResponseWriter, r *http.Request, c *Conn) {
	if c.overdue() {
		c.drop(ReasonPingTimeout)
	}
	c.mu.Lock()
	switch {
	case c.ws != nil:
		c.unlock()
		s.refuse(w, r, http.StatusBadRequest, codeBadRequest)
		return
	case c.poll != nil:
		c.unlock()
		c.drop(ReasonTransportError) // the first poll gets the close packet
		s.refuse(w, r, http.StatusBadRequest, codeBadRequest)
		return
	case c.state == stateClosed:
		c.unlock()
		s.refuse(w, r, http.StatusBadRequest, codeUnknownSID)
		return
	}
	p := &poll{wake: make(chan struct{}, 1), most: packetsFor(r), late: c.probe != nil && c.probe.probed}
	c.poll = p
	c.unlock()

	body, err := c.awaitPoll(r, p)
	switch {
	case errors.Is(err, errUpgraded):
		s.refuse(w, r, http.StatusBadRequest, codeBadRequest)
		return
	case err != nil:
		c.drop(ReasonTransportError) // the peer hung up
		return
	}
	if err := s.send(w, textPlain, body); err != nil {
		c.drop(ReasonTransportError) // what was taken is lost
	}
}

// send answers 200 and waits, for at most WriteTimeout, until the body is in
// the hands of the kernel.
func (s *Server) send(w http.ResponseWriter, contentType string, body []byte) error {
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout)); err == nil {
		defer func() { _ = rc.SetWriteDeadline(time.Time{}) }() // the connection lives on
	}
	if err := respond(w, http.StatusOK, contentType, body); err != nil {
		return err
	}
	if err := rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// poll is one GET that waits.
type poll struct {
	wake chan struct{} // holds one token
	most int           // packets in the answer
	late bool          // came after the probe of an upgrade
	noop bool          // has waited for the upgrade long enough
}

var errUpgraded = errors.New("engineio: the conn is on websocket")

// awaitPoll waits for the body of a poll and gives the poll up.
func (c *Conn) awaitPoll(r *http.Request, p *poll) ([]byte, error) {
	var delay <-chan time.Time
	if p.late {
		timer := time.NewTimer(noopDelay)
		defer timer.Stop()
		delay = timer.C
	}
	for {
		c.mu.Lock()
		body, err := c.pollBodyLocked(p)
		if body != nil || err != nil {
			c.poll = nil
			c.unlock()
			return body, err
		}
		c.unlock()
		select {
		case <-p.wake:
		case <-delay:
			p.noop = true
		case <-r.Context().Done():
			c.mu.Lock()
			c.poll = nil
			c.unlock()
			return nil, r.Context().Err()
		}
	}
}

// pollBodyLocked returns what to answer now, nil for nothing yet.
func (c *Conn) pollBodyLocked(p *poll) ([]byte, error) {
	switch {
	case c.ws != nil && p.late:
		return nil, errUpgraded
	case c.ws != nil:
		return []byte{byte(PacketNoop)}, nil
	case c.state == stateClosed:
		return []byte{byte(c.final)}, nil
	}
	var body []byte
	if !c.q.empty() {
		body = c.q.payload(p.most - 1) // room for the last one
		c.wakeSendersLocked()
	}
	if c.state == stateClosing && c.q.empty() {
		if len(body) > 0 {
			body = append(body, separator)
		}
		body = append(body, byte(c.final))
		c.closedLocked()
		return body, nil
	}
	if body == nil && c.probe != nil && c.probe.probed && (p.noop || !p.late) {
		body = []byte{byte(PacketNoop)}
	}
	return body, nil
}

// servePost reads the packets of a POST.
func (s *Server) servePost(w http.ResponseWriter, r *http.Request, c *Conn) {
	c.mu.Lock()
	switch {
	case c.ws != nil:
		c.unlock()
		s.refuse(w, r, http.StatusBadRequest, codeBadRequest)
		return
	case c.posted != nil:
		c.unlock()
		c.drop(ReasonTransportError)
		s.refuse(w, r, http.StatusBadRequest, codeBadRequest)
		return
	case c.state == stateClosed:
		c.unlock()
		s.refuse(w, r, http.StatusBadRequest, codeUnknownSID)
		return
	}
	posted := make(chan struct{})
	c.posted = posted
	c.unlock()
	status := s.readPost(w, r, c)
	c.mu.Lock()
	c.posted = nil
	c.unlock()
	close(posted)
	switch status {
	case http.StatusOK:
		// text/html as engine.io servers answer: some agents offer text/plain
		// as a download.
		_ = s.send(w, "text/html", []byte("ok"))
	case http.StatusRequestEntityTooLarge:
		w.Header().Set("Connection", "close")
		s.refuse(w, r, status, codeBadRequest)
	default:
		s.refuse(w, r, status, codeBadRequest)
	}
}

// readPost handles the body and returns the status to answer. Everything but
// 200 has ended the conn: what the peer sent would have a hole.
func (s *Server) readPost(w http.ResponseWriter, r *http.Request, c *Conn) int {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "application/octet-stream" {
		c.drop(ReasonTransportError)
		return http.StatusBadRequest
	}
	if r.ContentLength > s.cfg.MaxPayload {
		c.drop(ReasonTransportError)
		return http.StatusRequestEntityTooLarge
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(s.cfg.WriteTimeout)) // not every writer has one
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxPayload))
	_ = rc.SetReadDeadline(time.Time{})
	if err != nil {
		c.drop(ReasonTransportError)
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusBadRequest
	}
	if err := DecodePayload(body, c.onPollingPacket); err != nil && !errors.Is(err, errStop) {
		reason := ReasonParseError
		if !errors.Is(err, ErrParse) {
			reason = ReasonTransportError
		}
		c.drop(reason)
		return http.StatusBadRequest
	}
	return http.StatusOK
}

var (
	errStop      = errors.New("engineio: stop reading")
	errDirection = errors.New("engineio: invalid heartbeat direction")
)

// onPollingPacket handles one packet of a POST.
func (c *Conn) onPollingPacket(p Packet) error {
	if p.Type == PacketClose {
		c.mu.Lock()
		c.final = PacketNoop // a poll that waits, or is on its way, ends quietly
		c.q = queue{}
		c.unlock()
		c.Close(ReasonTransportClose)
		return errStop
	}
	return c.onPacket(p)
}

// onPacket handles one packet of any transport but close and upgrade.
func (c *Conn) onPacket(p Packet) error {
	if !c.throttle() {
		return errStop
	}
	switch p.Type {
	case PacketPing:
		return errDirection // revision 4: the server pings
	case PacketPong:
		c.pong()
	case PacketMessage:
		c.mu.Lock()
		open := c.state == stateOpen
		c.unlock()
		if !open {
			return nil
		}
		c.srv.stats.messagesIn.Add(1)
		c.srv.stats.bytesIn.Add(uint64(len(p.Data)))
		c.busy.Add(1)
		defer c.busy.Add(-1)
		c.srv.handler.Message(c, p.Data, p.Binary)
	default: // open, noop and upgrade mean nothing here
	}
	return nil
}
