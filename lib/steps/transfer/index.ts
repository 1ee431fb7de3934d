export { dropImage, findImage, previewTransfer, transferImage, type TransferRequest } from "./transfer";
