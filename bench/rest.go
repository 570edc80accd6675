package main

import "io"

type restSample struct{}
type offerSample struct{}

func printREST(io.Writer, []restSample)     {}
func printLatency(io.Writer, []offerSample) {}
