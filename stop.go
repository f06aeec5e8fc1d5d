package bdia

// stopper asks whether a pass is to end early.
type stopper func() error

func (s stopper) asked() error {
	if s == nil {
		return nil
	}
	return s()
}

// SetStop sets a function that is asked after each block in Forward, and before each one in Reverse. Its error ends the
// pass, which returns it; nil goes on. For example, the method Err of a context lets a long step end soon. Without a
// function, as at first, nothing is asked.
func (s *Stack) SetStop(stop func() error) { s.stop = stop }

// SetStop sets a function that is asked at each branch (see Stack.SetStop).
func (s *TwoStream) SetStop(stop func() error) { s.stop = stop }
