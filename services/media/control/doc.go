// Package control is how media workers are told what to do: the wanted state of legs and conferences, the events that
// come back, and the protocol that carries both.
package control
