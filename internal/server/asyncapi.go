package server

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/session"
)

// wireEvent describes one event for /asyncapi.json: its fields beside
// session_id and timestamp, each "name type", with "?" where it can be absent.
type wireEvent struct {
	name    string
	summary string
	fields  string
}

const (
	commandFields  = "project_id string, seq integer, command_id string, actor string, "
	hintFields     = "project_id string?, head_seq integer, command_id string, actor string, command_type string"
	turnedFields   = commandFields + "request_id string, command_type string, applied array, skipped array, applied_more integer?, skipped_more integer?"
	presenceFields = "head_seq integer, client_id string, client_count integer, user object, "
)

// wireEvents are the fifteen events that clients receive.
func wireEvents() []wireEvent {
	return []wireEvent{
		{graph.EventNodeCreated, "A node was made, or restored", commandFields + "node_id string, name string, blueprint_type_id string, parent_id string|null, position integer, properties object"},
		{graph.EventNodeDeleted, "A node went, with every link that touched it", commandFields + "node_id string, parent_id string|null"},
		{graph.EventNodeLinked, "A link was made or moved; link_type child: the node stands there now", commandFields + "parent_id string|null, child_id string, link_type string, position integer"},
		{graph.EventNodeUnlinked, "A link ended; with a position the child became a root there", commandFields + "parent_id string, child_id string, link_type string, position integer?"},
		{graph.EventPropertyChanged, "A property was set; name is the node's name", commandFields + "node_id string, property_id string, old_value any, new_value any"},
		{graph.EventPropertyDeleted, "A property was removed", commandFields + "node_id string, property_id string, old_value any"},
		{session.EventCommandExecuting, "A turn has started on a command", hintFields},
		{session.EventCommandExecuted, "A command is durable; its graph events came before", commandFields + "command_type string, result object"},
		{session.EventCommandFailed, "A command was refused or failed; nothing changed", hintFields + ", error object"},
		{session.EventCommandUndo, "A command was undone; its graph events came before", turnedFields},
		{session.EventCommandRedo, "A command was done again; its graph events came before", turnedFields},
		{session.EventSessionConnected, "A client joined", presenceFields + "epoch string, recovered boolean"},
		{session.EventSessionDisconnected, "A client left", presenceFields + "reason string"},
		{session.EventProjectSaved, "A save is durable", commandFields + "revision integer, name string"},
		{session.EventProjectLoaded, "A project was made or loaded; without seq: the state, for one client", commandFields + "template_id string, name string, revision integer, graph object"},
	}
}

// schema is the JSON schema of the event's one argument.
func (e wireEvent) schema() map[string]any {
	properties, required := map[string]any{}, []string{}
	for field := range strings.SplitSeq("session_id string, timestamp string, "+e.fields, ", ") {
		name, kind, _ := strings.Cut(field, " ")
		kind, optional := strings.CutSuffix(kind, "?")
		// The state for one client comes with head_seq in place of seq, and without a command.
		if stateless := e.name == session.EventProjectLoaded && (name == "seq" || name == "command_id" || name == "actor"); !optional && !stateless {
			required = append(required, name)
		}
		switch {
		case kind == "any":
			properties[name] = map[string]any{}
		case strings.Contains(kind, "|"):
			properties[name] = map[string]any{"type": strings.Split(kind, "|")}
		default:
			properties[name] = map[string]any{"type": kind}
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required}
}

// asyncAPI describes the socket protocol as AsyncAPI 3.0: the events that
// clients receive, and those that they send and have acknowledged.
func asyncAPI(version string) ([]byte, error) {
	messages, received, sent := map[string]any{}, []any{}, []any{}
	channel := map[string]any{}
	add := func(suffix, name, summary string, payload map[string]any, to *[]any) {
		key := strings.ReplaceAll(name, ":", ".") + suffix // command:undo goes both ways
		messages[key] = map[string]any{"name": name, "summary": summary, "contentType": "application/json", "payload": payload}
		channel[key] = map[string]any{"$ref": "#/components/messages/" + key}
		*to = append(*to, map[string]any{"$ref": "#/channels/session/messages/" + key})
	}
	for _, e := range wireEvents() {
		add("", e.name, e.summary, e.schema(), &received)
	}
	for name, summary := range map[string]string{
		eventExecute: "Execute one command; acknowledged with the receipt", eventUndo: "Undo; acknowledged with the receipt",
		eventRedo: "Redo; acknowledged with the receipt", eventSync: "Ask where the session stands and what is missing",
	} {
		add(".request", name, summary, map[string]any{"type": "object"}, &sent)
	}
	return json.MarshalIndent(map[string]any{
		"asyncapi": "3.0.0",
		"info": map[string]any{"title": "Graphroom", "version": version,
			"description": "Socket.IO protocol 5 at /socket.io/, namespaces /graph and /. The auth payload names the session; every event has one argument."},
		"channels": map[string]any{"session": map[string]any{
			"address": "/graph", "description": "One session: room session_{session_id}", "messages": channel,
		}},
		"operations": map[string]any{
			"receive": map[string]any{"action": "send", "channel": map[string]any{"$ref": "#/channels/session"}, "messages": received},
			"request": map[string]any{"action": "receive", "channel": map[string]any{"$ref": "#/channels/session"}, "messages": sent},
		},
		"components": map[string]any{"messages": messages},
	}, "", " ")
}

func (s *Server) serveAsyncAPI(mux *http.ServeMux) error {
	data, err := asyncAPI(s.cfg.Version)
	if err != nil {
		return err
	}
	mux.HandleFunc("GET /asyncapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data)
	})
	return nil
}
