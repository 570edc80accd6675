package main

import (
	"context"
	"os"
	"testing"
)

func TestTryNode(t *testing.T) {
	only := os.Getenv("TRY")
	if only == "" {
		t.Skip()
	}
	root, _ := moduleRoot()
	p, err := nodePeer(context.Background(), root)
	if err != nil {
		t.Fatal(err)
	}
	o := options{only: only}
	var all []sample
	for _, s := range transportScenarios() {
		if !o.wants(s.name) {
			continue
		}
		got, err := s.run(context.Background(), p, 0, true)
		if err != nil {
			t.Fatal(s.name, err)
		}
		t.Logf("%+v", got)
		all = append(all, got)
	}
	printTransport(os.Stdout, all)
}
