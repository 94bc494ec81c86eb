//! What the command line says about the console.

use std::net::SocketAddr;
use std::str::FromStr;

use clap::Args;

/// Where the console answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsoleAddress {
    /// Here.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl FromStr for ConsoleAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => {
                address.parse().map(Self::At).map_err(|_| "is neither off nor of the form 127.0.0.1:9090".into())
            }
        }
    }
}

/// The console.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConsoleOptions {
    /// Where the console answers instead of `console.listen`; off: nowhere
    #[arg(long, value_name = "ADDR|off", help_heading = "Console")]
    pub(crate) console: Option<ConsoleAddress>,

    /// Serve the console on another address than loopback without a login or without TLS
    #[arg(long, help_heading = "Console")]
    pub(crate) insecure: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_off() {
        assert_eq!("off".parse(), Ok(ConsoleAddress::Off));
        assert_eq!("0.0.0.0:80".parse(), Ok(ConsoleAddress::At(SocketAddr::from(([0, 0, 0, 0], 80)))));
        assert!("localhost".parse::<ConsoleAddress>().is_err());
    }
}
