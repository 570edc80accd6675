// Command graphroom serves live project graphs. See `graphroom --help`.
package main

import (
	"os"

	"github.com/graphroom/graphroom/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
