package array

import (
	"io"
)

// A segment reads the bytes of an array from where there is no going back: of a
// pipe, an entry of an archive, an object of a store. With the last of them it
// reads the rest of the file too, and checks that it ends where its header says.
type segment struct {
	r      io.Reader
	before int64                  // bytes of other arrays before these, that are not skipped yet
	left   int64                  // bytes of this one that are not read yet
	after  int64                  // bytes of other arrays behind it
	check  func(have int64) error // compares the number of bytes that are there with the header
	have   int64                  // bytes that were there
	ended  bool                   // whether the rest of the file was read
}

// Read ends with io.EOF once all is there, with what check says if it is not.
func (s *segment) Read(p []byte) (int, error) {
	if s.before > 0 {
		n, err := io.CopyN(io.Discard, s.r, s.before)
		s.have += n
		if s.before -= n; err == io.EOF {
			err = s.check(s.have)
		}
		if err != nil {
			return 0, err
		}
	}
	if s.left == 0 {
		return 0, s.end()
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.have += int64(n)
	if s.left -= int64(n); err == io.EOF {
		if err = nil; s.left > 0 {
			err = s.check(s.have)
		}
	}
	return n, err
}

// end reads the rest of the file; it is io.EOF if that is as long as it should be.
func (s *segment) end() error {
	if s.ended {
		return io.EOF
	}
	n, err := io.CopyN(io.Discard, s.r, s.before+s.after+1) // of an empty array, those before are here
	if s.have += n; err == nil || err == io.EOF {
		err = s.check(s.have)
	}
	if err != nil {
		return err
	}
	s.ended = true
	return io.EOF
}
