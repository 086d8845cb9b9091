// Package dataset defines what a customer is: a schema that is data and not code, the
// rules that a valid value meets, how a cell is cleaned, and how a column is audited,
// summarised and split. Every step uses these definitions, and there are no others.
//
// It reads no customers itself: package csvdata reads them from files, package sqldata
// from a database. How rows become the numbers that a model is fitted to is defined in
// package model.
package dataset
