package main

import (
	"fmt"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/sparse"
)

// shardsOf returns the files that a source is in, counted in its rows, nil if it
// is in one.
func shardsOf(source any, rows int) *array.Shards {
	var s *array.Shards
	switch a := source.(type) {
	case *array.Array:
		s = a.Shards
	case *sparse.Matrix:
		s = a.Shards
	case *denseBits:
		s = a.Shards
	case *targetBits:
		s = a.Shards
	case *csrBits:
		s = a.Shards
	case *scoreSource:
		if a.dense == nil {
			s = a.csr.Shards
		} else {
			s = a.dense.Shards
		}
	}
	if s == nil {
		return nil
	}
	return s.Rows(rows)
}

// checkPairs checks that the shards of a file, and those of the scores that go
// with them, have as many rows each. A file that is one goes with any.
func checkPairs(what string, s, scores *array.Shards) error {
	if s == nil || scores == nil || len(s.Names) == 1 || len(scores.Names) == 1 {
		return nil
	}
	k := s.Differ(scores)
	switch {
	case k < 0:
		return nil
	case k == len(s.Names) || k == len(scores.Names):
		return array.Faultf(s.Names[len(s.Names)-1], "%s of %s, %d of scores; they must pair", array.Counted(len(s.Names), "shard"), what, len(scores.Names))
	}
	return array.Faultf(s.Names[k], "%s of %s, but its shard of scores, %s, has %d; they must pair", array.Counted(s.Ends[k]-s.Start(k), "row"), what, array.Quote(scores.Names[k]), scores.Ends[k]-scores.Start(k))
}

// inShard returns the file that has a row, the row's number there, and words for
// its number among the rows of all.
func inShard(name string, s *array.Shards, row int) (file string, at int, of string) {
	if s == nil || len(s.Names) == 0 {
		return name, row, ""
	}
	k := s.Find(row)
	at = row - s.Start(k)
	return s.Names[k], at, fmt.Sprintf(" (row %d of all shards)", row)
}

// placeInShard says which file has a row and a class of a matrix, and where they
// are there; class -1 is the row alone.
func placeInShard(name string, s *array.Shards, row, class int) (file, place string) {
	file, at, of := inShard(name, s, row)
	place = fmt.Sprintf("row %d", at)
	if class >= 0 {
		place += fmt.Sprintf(", column %d", class)
	}
	return file, place + of
}

// where says which file has a row and a class of what the evaluation reads, and
// where they are there; class -1 is the row alone.
func (e *evaluation) where(what string, row, class int) (file, place string) {
	file, at, of := inShard(e.files[what], e.shards[what], row)
	return file, e.scores.place(at, class) + of
}

// where is evaluation's, of the scores.
func (s *scoreSource) where(row, class int) (file, place string) {
	file, at, of := inShard(s.name, shardsOf(s, s.rows()), row)
	return file, s.place(at, class) + of
}
