//! A session without memory: whatever it calls gives a value or an error, and the server goes on. A failed allocation that
//! ends one server process would end all sessions. And values of many megabytes: refused by their size, or cancelled at once.

mod eaten;
mod large_values;
mod limit;
mod limited;
mod statements;
