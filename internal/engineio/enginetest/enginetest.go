// Package enginetest is a small Engine.IO client that speaks the bytes of the
// protocol, for tests and for the soak: what it sends and shows is exactly what
// is on the wire, also where that is wrong.
//
// A Client may be used by several goroutines; a WebSocket by one that reads and
// one that writes.
package enginetest

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Client reaches one server.
type Client struct {
	// Host is the authority in requests.
	Host string
	// Path is the path of the server, with its last slash.
	Path string
	// Dial opens a connection. It ignores the host when it likes.
	Dial func(ctx context.Context) (net.Conn, error)
	// Header is sent with every request.
	Header http.Header

	http *http.Client
}

// New returns a client. Close it.
func New(path string, dial func(context.Context) (net.Conn, error)) *Client {
	c := &Client{Host: "server.test", Path: path, Dial: dial, Header: http.Header{}}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression:  true,
		MaxIdleConnsPerHost: 64,
	}}
	return c
}

// NewTCP returns a client of the server at a TCP address.
func NewTCP(path, address string) *Client {
	c := New(path, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	})
	c.Host = address
	return c
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Response is an answer that was read whole.
type Response struct {
	Status int
	Body   string
	Header http.Header
}

// Do sends a request with this query and body.
func (c *Client) Do(ctx context.Context, method string, query string, header http.Header, body io.Reader) (Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.Host+c.Path+"?"+query, body)
	if err != nil {
		return Response{}, err
	}
	for _, h := range []http.Header{c.Header, header} {
		for name, values := range h {
			req.Header[name] = values
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return Response{}, err
	}
	b, err := io.ReadAll(res.Body)
	return Response{Status: res.StatusCode, Body: string(b), Header: res.Header}, errors.Join(err, res.Body.Close())
}

// Handshake is the payload of an open packet.
type Handshake struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"`
	PingTimeout  int64    `json:"pingTimeout"`
	MaxPayload   int64    `json:"maxPayload"`
}

// ParseOpen reads an open packet.
func ParseOpen(packet string) (Handshake, error) {
	var h Handshake
	if !strings.HasPrefix(packet, "0") {
		return h, fmt.Errorf("enginetest: not an open packet: %q", packet)
	}
	return h, json.Unmarshal([]byte(packet[1:]), &h)
}

// Polling is a conn that was opened by polling.
type Polling struct {
	Client    *Client
	Handshake Handshake
	Query     string // of its requests
}

// OpenPolling opens a conn.
func (c *Client) OpenPolling(ctx context.Context) (*Polling, error) {
	res, err := c.Do(ctx, http.MethodGet, "EIO=4&transport=polling", nil, nil)
	if err != nil {
		return nil, err
	}
	if res.Status != http.StatusOK {
		return nil, fmt.Errorf("enginetest: handshake answered %d %s", res.Status, res.Body)
	}
	first, _, _ := strings.Cut(res.Body, "\x1e")
	h, err := ParseOpen(first)
	return &Polling{Client: c, Handshake: h, Query: "EIO=4&transport=polling&sid=" + url.QueryEscape(h.SID)}, err
}

// Get polls once.
func (p *Polling) Get(ctx context.Context) (Response, error) {
	return p.Client.Do(ctx, http.MethodGet, p.Query, nil, nil)
}

// Poll polls once and returns the packets.
func (p *Polling) Poll(ctx context.Context) ([]string, error) {
	res, err := p.Get(ctx)
	if err != nil {
		return nil, err
	}
	if res.Status != http.StatusOK {
		return nil, fmt.Errorf("enginetest: poll answered %d %s", res.Status, res.Body)
	}
	return strings.Split(res.Body, "\x1e"), nil
}

// Post sends packets as they are.
func (p *Polling) Post(ctx context.Context, packets ...string) (Response, error) {
	return p.Client.Do(ctx, http.MethodPost, p.Query, http.Header{"Content-Type": {"text/plain;charset=UTF-8"}},
		strings.NewReader(strings.Join(packets, "\x1e")))
}

// Opcodes of RFC 6455.
const (
	OpContinuation byte = 0
	OpText         byte = 1
	OpBinary       byte = 2
	OpClose        byte = 8
	OpPing         byte = 9
	OpPong         byte = 10
)

// WebSocket is one WebSocket, seen as frames.
type WebSocket struct {
	Conn   net.Conn
	Header http.Header // of the 101 response
	r      *bufio.Reader
}

// StatusError is the answer to a WebSocket handshake that was refused.
type StatusError struct{ Response Response }

// Error names the status.
func (e *StatusError) Error() string {
	return fmt.Sprintf("enginetest: handshake answered %d %s", e.Response.Status, e.Response.Body)
}

// OpenWebSocket does a WebSocket handshake. sid is empty for a new conn. The
// open packet of a new conn is still to be read.
func (c *Client) OpenWebSocket(ctx context.Context, sid string, header http.Header) (*WebSocket, error) {
	conn, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	ws, err := c.handshake(ctx, conn, sid, header)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ws, nil
}

func (c *Client) handshake(ctx context.Context, conn net.Conn, sid string, header http.Header) (*WebSocket, error) {
	var key [16]byte
	rand.Read(key[:])
	query := "EIO=4&transport=websocket"
	if sid != "" {
		query += "&sid=" + url.QueryEscape(sid)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Host+c.Path+"?"+query, nil)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {base64.StdEncoding.EncodeToString(key[:])},
	}
	for _, h := range []http.Header{c.Header, header} {
		for name, values := range h {
			req.Header[name] = values
		}
	}
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, req) //nolint:bodyclose // a 101 has no body that ends
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(res.Body) // what there is of it
		_ = res.Body.Close()            // the caller closes the connection
		return nil, &StatusError{Response{Status: res.StatusCode, Body: string(body), Header: res.Header}}
	}
	return &WebSocket{Conn: conn, Header: res.Header, r: r}, nil
}

// Frame is one WebSocket frame.
type Frame struct {
	First   byte // FIN, RSV and opcode
	Payload []byte
}

// Opcode returns the opcode.
func (f Frame) Opcode() byte { return f.First & 0x0f }

// ReadFrame reads one frame of a server.
func (ws *WebSocket) ReadFrame() (Frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(ws.r, head[:]); err != nil {
		return Frame{}, err
	}
	n := uint64(head[1])
	var ext [8]byte
	switch {
	case n > 127:
		return Frame{}, errors.New("enginetest: a server must not mask")
	case n == 126:
		if _, err := io.ReadFull(ws.r, ext[6:]); err != nil {
			return Frame{}, err
		}
		n = binary.BigEndian.Uint64(ext[:])
	case n == 127:
		if _, err := io.ReadFull(ws.r, ext[:]); err != nil {
			return Frame{}, err
		}
		n = binary.BigEndian.Uint64(ext[:])
	}
	if n > 64<<20 {
		return Frame{}, fmt.Errorf("enginetest: a frame of %d bytes", n)
	}
	f := Frame{First: head[0], Payload: make([]byte, n)}
	_, err := io.ReadFull(ws.r, f.Payload)
	return f, err
}

// Read returns the next message, as text when it is one, and with the prefix
// "b" when it is binary. A close frame is io.EOF.
func (ws *WebSocket) Read() (string, error) {
	for {
		f, err := ws.ReadFrame()
		if err != nil {
			return "", err
		}
		switch f.Opcode() {
		case OpText:
			return string(f.Payload), nil
		case OpBinary:
			return "b" + string(f.Payload), nil
		case OpClose:
			return "", io.EOF
		}
	}
}

// WriteFrame writes one masked frame.
func (ws *WebSocket) WriteFrame(f Frame) error {
	b := []byte{f.First}
	n := len(f.Payload)
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, mask[:]...)
	for i, c := range f.Payload {
		b = append(b, c^mask[i%4])
	}
	_, err := ws.Conn.Write(b)
	return err
}

// Write sends a text message.
func (ws *WebSocket) Write(text string) error {
	return ws.WriteFrame(Frame{First: 0x80 | OpText, Payload: []byte(text)})
}

// WriteBinary sends a binary message.
func (ws *WebSocket) WriteBinary(data []byte) error {
	return ws.WriteFrame(Frame{First: 0x80 | OpBinary, Payload: data})
}

// Close closes the connection without ceremony.
func (ws *WebSocket) Close() error { return ws.Conn.Close() }
