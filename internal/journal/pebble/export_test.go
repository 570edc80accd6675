package pebble

// SmallPieces makes blobs of a few kilobytes take many chunks and commits.
func SmallPieces(o Options) Options {
	o.chunkBytes, o.blobBatch = 1<<10, 4<<10
	return o
}
