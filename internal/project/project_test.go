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

func TestCheckID(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "A-z_09": true, strings.Repeat("x", project.MaxID): true,
		"": false, strings.Repeat("x", project.MaxID+1): false, "a b": false, "a.b": false, "é": false,
	} {
		if project.CheckID(id) != want {
			t.Errorf("CheckID(%q) is not %v", id, want)
		}
		err := project.Check(project.Saved{ProjectID: id})
		if (err == nil) != want || err != nil && !fault.Is(err, fault.InvalidRequest) {
			t.Errorf("Check(%q): %v", id, err)
		}
	}
}

func TestSummary(t *testing.T) {
	s := project.Saved{ProjectID: "p", TemplateID: "t", Name: "n", Revision: 3, Graph: []byte("{}")}
	want := project.Summary{ProjectID: "p", TemplateID: "t", Name: "n", Revision: 3, GraphBytes: 2}
	if got := s.Summary(); got != want {
		t.Errorf("got %+v", got)
	}
}
