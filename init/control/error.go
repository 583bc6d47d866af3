package control

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is a refusal with the HTTP status that carries it.
type Error struct {
	Status int
	Text   string
}

func (e *Error) Error() string { return e.Text }

// Refuse returns an [Error] for what the caller did wrong: nothing was changed.
func Refuse(status int, format string, args ...any) error {
	return &Error{Status: status, Text: fmt.Sprintf(format, args...)}
}

// Invalid wraps an error as status 422.
func Invalid(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Status: http.StatusUnprocessableEntity, Text: err.Error()}
}

// status is the HTTP status of an error: 500 unless it says otherwise.
func status(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return http.StatusInternalServerError
}

// IsConflict tells that the stored generation had moved on; read again and repeat.
func IsConflict(err error) bool { return status(err) == http.StatusConflict }
