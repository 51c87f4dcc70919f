package array

// Open opens an array: an .npy file, an array of an .npz or a safetensors file
// (file.npz:key; the key can be left out where there is one array only), or a
// CSV file. The content tells which.
func Open(name string) (*Array, error) {
	path, key := Split(name)
	in, err := OpenInput(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return in.Array(key, CSVOptions{})
}

// Array returns the array that an input is or, if it is an archive, has under
// that key.
func (in *Input) Array(key string, o CSVOptions) (*Array, error) {
	c, err := in.Container()
	switch {
	case err != nil:
		return nil, err
	case c != nil:
		return openOnly(c, in.Name, key)
	}
	if err := in.NoKey(key); err != nil {
		return nil, err
	}
	if in.Format == Text {
		return ReadCSV(in, o)
	}
	a, err := openNPY(in)
	if err == nil {
		err = a.resolve(in.Raw)
	}
	if err != nil {
		return nil, Named(in.Name, err)
	}
	return a, nil
}

// NoKey is an error if there is a key: only containers have them.
func (in *Input) NoKey(key string) error {
	if key == "" || in.Format == Zip || in.Format == Safetensors {
		return nil
	}
	return Faultf(in.Name, "no archive, so no array %q is in it; leave the name after the colon out", short(key))
}

// Keys returns the names of the arrays in a file of several, nil of another one.
func Keys(path string) []string {
	in, err := OpenInput(path)
	if err != nil {
		return nil
	}
	defer in.Close()
	c, err := in.Container()
	if err != nil || c == nil {
		return nil
	}
	return c.Keys()
}
