package project_test

import (
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/project"
)

func TestConflictTellsBothRevisions(t *testing.T) {
	err := fault.From(project.Conflict("p", 3, 5))
	if err.Code != fault.Conflict || len(err.Details) != 2 || err.Details[0].Message != "5" || err.Details[1].Message != "3" {
		t.Fatalf("got %+v", err)
	}
	if !strings.Contains(err.Err.Error(), "revision 5 is stored, 3 was expected") {
		t.Fatalf("got %v", err.Err)
	}
}

func TestCheckBounds(t *testing.T) {
	ok := project.Saved{ProjectID: "p"}
	if err := project.Check(ok); err != nil {
		t.Fatal(err)
	}
	long := ok
	long.TemplateID = strings.Repeat("t", project.MaxName+1)
	if err := project.Check(long); !fault.Is(err, fault.TooLarge) {
		t.Fatalf("got %v", err)
	}
	if err := project.NotFound(strings.Repeat("x", 5000)); len(err.Error()) > 300 {
		t.Fatalf("an error of %d bytes", len(err.Error()))
	}
}
