export { describeWith, PATH } from "../../../support/daemons";
