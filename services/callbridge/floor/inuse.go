package floor

import (
	"errors"
	"syscall"
)

// inUse says that another port may do.
func inUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
