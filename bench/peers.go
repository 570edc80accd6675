package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The names of the peers in tables and results.
const (
	ours = "graphroom"
	node = "node"
)

// peer is one kind of server that the transport scenarios measure.
type peer struct {
	name  string
	start func(context.Context) (*process, error)
}

// errNoNode says why there are no ratios.
var errNoNode = errors.New("node and npm are not installed: ours is measured alone and ratios are skipped")

// buildOurs compiles a main package of this module into dir.
func buildOurs(ctx context.Context, root, dir, pkg string) (string, error) {
	binary := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, pkg)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	return binary, nil
}

func ourPeer(ctx context.Context, root, dir string) (peer, error) {
	binary, err := buildOurs(ctx, root, dir, "./bench/server")
	if err != nil {
		return peer{}, err
	}
	return peer{name: ours, start: func(ctx context.Context) (*process, error) {
		return startProcess(ctx, root, nil, binary)
	}}, nil
}

// nodePeer installs the pinned packages of bench/peer when they are not
// there. The error is errNoNode where there is nothing to run them with.
func nodePeer(ctx context.Context, root string) (peer, error) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return peer{}, errNoNode
		}
	}
	dir := filepath.Join(root, "bench", "peer")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "socket.io", "package.json")); err != nil {
		cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		cmd.Dir, cmd.Stderr = dir, os.Stderr
		if err := cmd.Run(); err != nil {
			return peer{}, fmt.Errorf("npm ci in bench/peer: %w", err)
		}
	}
	return peer{name: node, start: func(ctx context.Context) (*process, error) {
		return startProcess(ctx, dir, []string{"NODE_ENV=production"}, "node", "--expose-gc", "server.mjs")
	}}, nil
}
