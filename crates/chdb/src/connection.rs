//! A safe connection to the engine in this process.
//!
//! One connection runs one statement at a time and carries its own `SET`, `USE` and temporary tables, so a
//! request gets its own. Opening costs 0.14 ms. Closing the last one shuts the engine down: [`crate::kill`] keeps one open.

use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;

use crate::failure::Failure;
use crate::ffi::{Analysis, Api, ConnectionHandle};

/// How to open connections: all of a process must name the same data.
#[derive(Debug)]
pub(crate) struct Connector {
    api: Api,
    arguments: Vec<CString>,
}

/// Values of a statement's `{name:Type}` parameters: name, and the text in TSV escaping.
pub(crate) type Params = [(String, Vec<u8>)];

/// What a finished statement did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Stats {
    pub(crate) read_rows: u64,
    pub(crate) read_bytes: u64,
    pub(crate) written_rows: u64,
    pub(crate) written_bytes: u64,
    pub(crate) result_rows: u64,
    pub(crate) result_bytes: u64,
    pub(crate) elapsed_seconds: f64,
}

/// A statement's class, as the engine's own parser sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Returns rows and changes nothing.
    Read,
    /// Changes data or schema.
    Write,
    /// SET, USE, KILL, SYSTEM and the like.
    Control,
    /// Does not parse; running it gives the error.
    Unknown,
}

impl Connector {
    /// `arguments` are libchdb's command line options, `--path=` first.
    pub(crate) fn new(api: Api, arguments: Vec<CString>) -> Connector {
        Connector { api, arguments }
    }

    /// Opens a connection. The library gives no reason when it refuses.
    pub(crate) fn open(&self) -> Result<Connection, Failure> {
        let mut pointers: Vec<*const c_char> = vec![c"walhouse".as_ptr()];
        pointers.extend(self.arguments.iter().map(|argument| argument.as_ptr()));
        let count = i32::try_from(pointers.len()).unwrap_or(i32::MAX);
        // SAFETY: `count` pointers to strings that end in NUL and outlive the call.
        let handle = unsafe { (self.api.connect)(count, pointers.as_ptr()) };
        if handle.is_null() {
            return Err(Failure::new(210, "NETWORK_ERROR", "The engine refuses a connection"));
        }
        Ok(Connection { api: self.api, handle })
    }
}

/// An open connection. `&mut` on every call: two statements at once would only queue inside the library.
pub(crate) struct Connection {
    api: Api,
    handle: ConnectionHandle,
}

// SAFETY: the library lets any thread use a connection, one at a time, which `&mut` ensures.
unsafe impl Send for Connection {}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    fn raw(&self) -> *mut c_void {
        // SAFETY: `handle` came from chdb_connect, is not null, and lives until Drop.
        unsafe { *self.handle }
    }

    /// Runs one statement to its end; gives its buffered output and what it did.
    pub(crate) fn query(&mut self, sql: &[u8], format: &str, params: &Params) -> Result<(Vec<u8>, Stats), Failure> {
        let result = self.call(self.api.query, sql, format_name(format)?, params);
        take_result(&self.api, result, true)
    }

    /// A statement without parameters whose output is text.
    pub(crate) fn run(&mut self, sql: &str) -> Result<String, Failure> {
        let (output, _) = self.query(sql.as_bytes(), "TabSeparated", &[])?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Parses without running: how many statements there are, and of which class.
    pub(crate) fn classify(&mut self, sql: &[u8]) -> (u32, Class) {
        let size = u32::try_from(size_of::<Analysis>()).unwrap_or(0);
        let mut analysis = Analysis { struct_size: size, statement_count: 0, flags: 0, query_class: u32::MAX };
        // SAFETY: pointers with their lengths; the target database may be empty; `analysis` is sized by its first field.
        unsafe {
            (self.api.classify)(self.raw(), sql.as_ptr().cast(), sql.len(), c"".as_ptr(), 0, &raw mut analysis);
        }
        let class = match analysis.query_class {
            0 => Class::Read,
            1 | 2 => Class::Write,
            3 => Class::Control,
            _ => Class::Unknown,
        };
        (analysis.statement_count, class)
    }

    /// Begins an insert whose data is then appended. `head` is the statement without a FORMAT clause.
    pub(crate) fn insert(&mut self, head: &[u8], format: &str, params: &Params) -> Result<InsertStream<'_>, Failure> {
        let stream = self.call(self.api.insert, head, format_name(format)?, params);
        if stream.is_null() {
            return Err(Failure::new(1002, "UNKNOWN_EXCEPTION", "The engine does not begin an insert"));
        }
        let stream = InsertStream { api: self.api, stream, finished: false, connection: PhantomData };
        match stream.error() {
            Some(failure) => {
                let mut stream = stream;
                stream.finished = true; // never began: there is nothing to cancel
                Err(failure)
            }
            None => Ok(stream),
        }
    }

    fn call(&self, function: crate::ffi::WithParams, sql: &[u8], format: &str, params: &Params) -> *mut c_void {
        let names: Vec<*const c_char> = params.iter().map(|(name, _)| name.as_ptr().cast()).collect();
        let name_lengths: Vec<usize> = params.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<*const c_char> = params.iter().map(|(_, value)| value.as_ptr().cast()).collect();
        let value_lengths: Vec<usize> = params.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: every pointer comes with its length, and all outlive the call.
        unsafe {
            function(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                params.len(),
            )
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: opened by chdb_connect, closed once; no statement runs, as every call borrows the connection.
        unsafe { (self.api.close)(self.handle) };
    }
}

/// A format's name becomes part of a statement, here or inside the library, so it must be nothing but a name.
pub(crate) fn format_name(format: &str) -> Result<&str, Failure> {
    if !format.is_empty() && format.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(format);
    }
    let shown: String = format.chars().take(60).collect();
    Err(Failure::new(73, "UNKNOWN_FORMAT", format_args!("Unknown format {shown}")))
}

/// Reads and frees a result.
fn take_result(api: &Api, result: *mut c_void, with_output: bool) -> Result<(Vec<u8>, Stats), Failure> {
    if result.is_null() {
        return Err(Failure::new(1002, "UNKNOWN_EXCEPTION", "The engine gave no result"));
    }
    // SAFETY: `result` is a live result until it is destroyed below; its texts and buffer are copied before.
    unsafe {
        let outcome = match text((api.result_error)(result)) {
            Some(message) => Err(Failure::from_engine(&message)),
            None => {
                let length = if with_output { (api.result_length)(result) } else { 0 };
                let buffer = (api.result_buffer)(result);
                let output = if length == 0 || buffer.is_null() {
                    Vec::new()
                } else {
                    std::slice::from_raw_parts(buffer.cast::<u8>(), length).to_vec()
                };
                let stats = Stats {
                    read_rows: (api.storage_rows_read)(result),
                    read_bytes: (api.storage_bytes_read)(result),
                    written_rows: (api.rows_written)(result),
                    written_bytes: (api.bytes_written)(result),
                    result_rows: (api.rows_read)(result),
                    result_bytes: (api.bytes_read)(result),
                    elapsed_seconds: (api.result_elapsed)(result),
                };
                Ok((output, stats))
            }
        };
        (api.destroy_result)(result);
        outcome
    }
}

/// Copies a C string; `None` for a null or empty one.
///
/// # Safety
/// `pointer` is null or points to a string that ends in NUL.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned();
    (!text.is_empty()).then_some(text)
}

/// An insert under way. Dropping it cancels: nothing that was not already cut into a block becomes visible.
pub(crate) struct InsertStream<'c> {
    api: Api,
    stream: *mut c_void,
    finished: bool,
    connection: PhantomData<&'c mut Connection>,
}

impl InsertStream<'_> {
    fn error(&self) -> Option<Failure> {
        // SAFETY: the stream lives until Drop; the text is copied.
        unsafe { text((self.api.insert_error)(self.stream)) }.map(|message| Failure::from_engine(&message))
    }

    /// Hands over a piece of the data, cut anywhere. Returns when the engine has taken it: back-pressure.
    pub(crate) fn append(&mut self, data: &[u8]) -> Result<(), Failure> {
        // SAFETY: pointer and length of a live slice.
        let state = unsafe { (self.api.append)(self.stream, data.as_ptr().cast(), data.len()) };
        match self.error() {
            Some(failure) => Err(failure),
            None if state != 0 => Err(Failure::new(1002, "UNKNOWN_EXCEPTION", "The engine takes no more data")),
            None => Ok(()),
        }
    }

    /// Ends the data: the rows are visible, and on disk, when this returns.
    pub(crate) fn done(mut self) -> Result<Stats, Failure> {
        self.finished = true;
        // SAFETY: called once, on a stream that began.
        let result = unsafe { (self.api.done)(self.stream) };
        take_result(&self.api, result, false).map(|(_, stats)| stats)
    }
}

impl Drop for InsertStream<'_> {
    fn drop(&mut self) {
        // SAFETY: the stream is live; it is cancelled if it neither ended nor failed to begin, and freed once.
        unsafe {
            if !self.finished {
                (self.api.cancel_insert)(self.stream);
            }
            (self.api.destroy_insert)(self.stream);
        }
    }
}
