package memory_test

import (
	"testing"

	"github.com/graphroom/graphroom/internal/project"
	"github.com/graphroom/graphroom/internal/project/memory"
	"github.com/graphroom/graphroom/internal/project/projecttest"
)

func TestContract(t *testing.T) {
	projecttest.Run(t, projecttest.Driver{
		Open: func(testing.TB) (project.Store, func() project.Store) { return memory.New(), nil },
	})
}
