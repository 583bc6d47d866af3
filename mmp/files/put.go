package files

// Put stores a file that the machine itself has made for a person, in one step and with the same rights, sizes and log lines as an
// upload. Without replace an existing file of that name stays, and the error is of kind [fs.ErrExist].
func (s *Store) Put(p Person, name string, data []byte, replace bool) error {
	u, err := s.Create(p, name, !replace)
	if err != nil {
		return err
	}
	if _, err := u.WriteAt(data, 0); err != nil {
		u.Abort(err.Error())
		return err
	}
	return u.Commit()
}
